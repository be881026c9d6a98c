import { describe, expect, it } from 'vitest';

import { ASK_AFTER_MS, askAfter, shownPicture } from './last-frame';

describe('the last picture of a camera (R1.1-11)', () => {
  it.each([
    ['live', null, true, null],
    ['stalled', 5, true, null],
    ['offline', null, false, 0],
    ['failed', null, true, 0],
    ['connecting', null, true, ASK_AFTER_MS],
    ['waiting', null, true, ASK_AFTER_MS],
    // The page's own is the newest, until the camera is online without this page.
    ['offline', 5, false, null],
    ['failed', 5, true, 0],
  ] as const)('is asked for in state %s, own picture at %s, online %s: after %s ms', (state, own, online, after) => {
    expect(askAfter({ state, pictureStoppedAt: own, online })).toBe(after);
  });

  it('is the newer one of the server’s and the page’s', () => {
    const picture = new Blob(['x']);
    const kept = { picture, takenAt: -180_000 };
    expect(shownPicture('offline', null, null)).toEqual({ still: null, takenAt: null });
    expect(shownPicture('offline', null, kept)).toEqual({ still: picture, takenAt: -180_000 });
    expect(shownPicture('offline', 1_000, kept)).toEqual({ still: null, takenAt: 1_000 });
    expect(shownPicture('failed', 1_000, { picture, takenAt: 2_000 })).toEqual({ still: picture, takenAt: 2_000 });
  });

  it('is never over a picture that moves', () => {
    expect(shownPicture('live', null, { picture: new Blob(), takenAt: 0 })).toEqual({ still: null, takenAt: null });
  });
});
