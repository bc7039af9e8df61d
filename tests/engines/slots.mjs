// The limit of a connection pool, with the error of the native engine.

import { EngineError } from './datasource.mjs'

export class Slots {
  // `timeout` is in seconds; 0 waits without a limit.
  constructor(limit, timeout) {
    Object.assign(this, { limit, timeout, taken: 0, waiting: [], reserved: 0 })
  }

  // For a transaction, which may wait for a shorter time. The engine takes it when it starts one.
  async reserve(milliseconds) {
    const isShorter = milliseconds !== undefined && !(this.timeout && 1000 * this.timeout < milliseconds)
    await (isShorter ? this.#wait(milliseconds, tooLate) : this.#wait(1000 * this.timeout, () => this.#timedOut()))
    this.reserved++
  }

  cancelReservation() {
    if (this.reserved) {
      this.reserved--
      this.free()
    }
  }

  async takeReserved() {
    if (!this.reserved) return this.take()
    this.reserved--
  }

  async take() {
    await this.#wait(1000 * this.timeout, () => this.#timedOut())
  }

  async #wait(milliseconds, error) {
    if (this.taken < this.limit) {
      this.taken++
      return
    }
    await new Promise((resolve, reject) => {
      const waiter = { resolve }
      this.waiting.push(waiter)
      if (!milliseconds) return
      waiter.timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1)
        reject(error())
      }, milliseconds)
    })
  }

  // Let the first in the queue take it, if there is one.
  free() {
    const next = this.waiting.shift()
    if (!next) {
      this.taken--
      return
    }
    clearTimeout(next.timer)
    next.resolve()
  }

  #timedOut() {
    const { limit, timeout } = this
    const message = `Timed out fetching a new connection from the connection pool. More info: http://pris.ly/d/connection-pool (Current connection pool timeout: ${timeout}, connection limit: ${limit})`
    return new EngineError('P2024', message, { connection_limit: limit, timeout })
  }
}

function tooLate() {
  const error = 'Unable to start a transaction in the given time.'
  return new EngineError('P2028', `Transaction API error: ${error}`, { error })
}
