import { describe, expect, it } from 'vitest';

import { camera } from '../testing/cameras';
import { type Facts, reportedFailure, tileState } from './tile-state';

const NOW = 100_000;
const facts = (changes: Partial<Facts> = {}): Facts => ({
  failure: null,
  joinedAt: null,
  hasSource: false,
  lastFrameAt: null,
  watchedSince: 0,
  camera: camera('a'),
  ...changes,
});
const condition = (status: 'True' | 'False' | 'Unknown', reason: string) => ({ status, reason });
const publishing = camera('a', { publishing: condition('False', 'UnsupportedCodec') });
const offline = camera('a', { state: 'offline', online: condition('False', 'ConnectionRefused') });

describe('what a tile shows', () => {
  it.each<[string, Partial<Facts>, string, string | null]>([
    ['nothing has come yet', {}, 'connecting', null],
    ['joined, no track', { joinedAt: NOW - 9_999 }, 'connecting', null],
    ['joined, no track for long', { joinedAt: NOW - 10_000 }, 'failed', 'TrackMissing'],
    ['a track without a frame', { joinedAt: NOW, hasSource: true }, 'waiting', null],
    ['frames flow', { hasSource: true, lastFrameAt: NOW - 2_999 }, 'live', null],
    ['no frame for 3 s', { hasSource: true, lastFrameAt: NOW - 3_000 }, 'stalled', 'Stalled'],
    ['the track has left', { hasSource: false, lastFrameAt: NOW - 1 }, 'stalled', 'Stalled'],
    ['hidden till now', { hasSource: true, lastFrameAt: 0, watchedSince: NOW - 1_000 }, 'live', null],
    ['never a frame, hidden till now', { hasSource: true, watchedSince: NOW }, 'waiting', null],
    ['a failed reservation', { failure: { state: 'failed', reason: 'Forbidden' } }, 'failed', 'Forbidden'],
    ['refused, and the reason has changed since', { failure: { state: 'offline', reason: 'DnsFailed' }, camera: offline }, 'offline', 'ConnectionRefused'],
    ['refused, and nothing newer is known', { failure: { state: 'offline', reason: 'LiveOff' } }, 'offline', 'LiveOff'],
    ['streams names the trouble', { joinedAt: NOW, hasSource: true, camera: publishing }, 'failed', 'UnsupportedCodec'],
    ['the camera goes down', { joinedAt: NOW, camera: offline }, 'offline', 'ConnectionRefused'],
    ['stalled because it went down', { hasSource: true, lastFrameAt: 1, camera: offline }, 'offline', 'ConnectionRefused'],
    ['it moves, whatever is reported', { hasSource: true, lastFrameAt: NOW, camera: offline }, 'live', null],
  ])('%s', (_title, changes, state, reason) => {
    expect(tileState(facts(changes), NOW)).toEqual({ state, reason });
  });
});

describe('why a camera has no picture', () => {
  it.each([
    ['online', camera('a'), null],
    ['unknown', undefined, null],
    ['suspended', camera('a', { state: 'suspended' }), 'Suspended'],
    ['offline', offline, 'ConnectionRefused'],
    ['offline without a word', camera('a', { state: 'offline', online: null }), 'SourceUnreachable'],
    ['not set up', camera('a', {
      state: 'offline', online: condition('Unknown', 'Progressing'), ready: condition('False', 'SourceNotFound'),
    }), 'SourceNotFound'],
    ['pending and held back', camera('a', { state: 'pending', ready: condition('False', 'QuotaExceeded') }), 'QuotaExceeded'],
    ['pending', camera('a', { state: 'pending', online: condition('Unknown', 'Connecting') }), null],
    ['publishing', publishing, 'UnsupportedCodec'],
  ])('%s', (_title, view, reason) => {
    expect(reportedFailure(view)?.reason ?? null).toBe(reason);
  });
});
