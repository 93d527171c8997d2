import { Complaint } from './complaint.ts'
import { LogDiary } from './log-diary.ts'

/** What readers were shown of all sessions of one database. */
export class FleetDiary extends LogDiary {
  readonly path = '/events'
  readonly query = 'children=true'
  readonly isGone = false

  seeGone(): void {
    throw this.complaint('it is unknown')
  }

  complaint(text: string): Complaint {
    return new Complaint(`what is told over all sessions: ${text}`)
  }

  protected read(): void {}
}
