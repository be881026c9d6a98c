import { expect, it } from 'vitest';

import { ageOf } from './age';

it.each([
  [-5, 'seconds', 0],
  [59_999, 'seconds', 59],
  [60_000, 'minutes', 1],
  [3_599_999, 'minutes', 59],
  [7_200_000, 'hours', 2],
] as const)('%i ms', (milliseconds, unit, value) => {
  expect(ageOf(milliseconds)).toEqual({ unit, value });
});
