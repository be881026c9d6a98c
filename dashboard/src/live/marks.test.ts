import { expect, it } from 'vitest';

import { markClick, markFirstFrame } from './marks';

const marks = (name: string) => performance.getEntriesByName(`marsad:${name}:a`).map((mark) => mark.startTime);

it('times a click and its first frame once, and begins anew with the next click', () => {
  markClick('a');
  markFirstFrame('a');
  const first = marks('first-frame');
  markFirstFrame('a');
  expect(marks('first-frame')).toEqual(first);
  expect(first).toHaveLength(1);
  markClick('a');
  expect(marks('click')).toHaveLength(1);
  expect(marks('first-frame')).toEqual([]);
});
