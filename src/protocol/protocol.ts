/**
 * The language of the wire: every schema, event, error code and cursor rule. Runs in a browser; knows no other room.
 */
export * from './agent.ts'
export * from './budget.ts'
export * from './cursor.ts'
export * from './duration.ts'
export * from './endpoints.ts'
export * from './errors.ts'
export * from './events.ts'
export * from './frame.ts'
export * from './ids.ts'
export * from './input.ts'
export * from './message.ts'
export * from './model-choice.ts'
export * from './query.ts'
export * from './request.ts'
export * from './run.ts'
export * from './session.ts'
