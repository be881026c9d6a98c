/**
 * Delays that double from `min` to `max` milliseconds, each drawn from its upper half: a wall of tiles that
 * lose one server must not come back in one instant.
 */
export class Backoff {
  readonly #min: number;
  readonly #max: number;
  #next: number;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
    this.#next = min;
  }

  next(): number {
    const delay = this.#next;
    this.#next = Math.min(delay * 2, this.#max);
    return jittered(delay);
  }

  reset(): void {
    this.#next = this.#min;
  }
}

/** Between half of `delay` and all of it. */
export function jittered(delay: number): number {
  return delay / 2 + (Math.random() * delay) / 2;
}
