import { Flood, messageLimit } from './message-lines.ts'

const newline = 10
const carriageReturn = 13

/** Passes a body on and fails once one message in it is too long: the whole body, or one event of a stream of events. */
export function limitMessages(
  events: boolean,
  onFlood: (flood: Flood) => void,
): TransformStream<Uint8Array, Uint8Array> {
  const count = events ? eventSize() : bodySize()
  return new TransformStream({
    transform(chunk, controller) {
      if (count(chunk) > messageLimit) {
        const flood = new Flood('sent a message that is too long')
        onFlood(flood)
        controller.error(flood)
      } else controller.enqueue(chunk)
    },
  })
}

function bodySize(): (chunk: Uint8Array) => number {
  let size = 0
  return (chunk) => {
    size += chunk.length
    return size
  }
}

/** The size of the event that is being read: an empty line ends it. */
function eventSize(): (chunk: Uint8Array) => number {
  let size = 0
  let isBlank = true
  const take = (part: Uint8Array) => {
    size += part.length
    isBlank &&= part.length === 0 || (part.length === 1 && part[0] === carriageReturn)
  }
  return (chunk) => {
    let largest = 0
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      take(chunk.subarray(from, end))
      largest = Math.max(largest, size)
      if (isBlank) size = 0
      isBlank = true
      from = end + 1
    }
    take(chunk.subarray(from))
    return Math.max(largest, size)
  }
}
