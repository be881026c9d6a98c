import { expect, it } from 'vitest';

import { ageOf } from './age';

it.each([
  [-5, 'second', 0],
  [59_999, 'second', 59],
  [60_000, 'minute', 1],
  [3_599_999, 'minute', 59],
  [7_200_000, 'hour', 2],
  [86_399_999, 'hour', 23],
  [180_000_000, 'day', 2],
] as const)('%i ms', (milliseconds, unit, value) => {
  expect(ageOf(milliseconds)).toEqual({ unit, value });
});
