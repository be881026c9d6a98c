import { renderHook } from '@testing-library/react';
import { act, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Api } from '../api/client';
import { ServicesProvider } from '../app/context';
import type { Services } from '../app/services';
import type { TileFacts } from './last-frame';
import { useLastFrame } from './use-last-frame';

const lastFrame = vi.fn<Api['lastFrame']>();
const AWAY: TileFacts = { state: 'offline', pictureStoppedAt: null, online: false };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  lastFrame.mockReset();
  lastFrame.mockImplementation(() => Promise.resolve({ picture: new Blob(['mp4']), ageSeconds: 30 }));
});

afterEach(() => {
  vi.useRealTimers();
});

function hook(facts: TileFacts) {
  const wrapper = ({ children }: { children: ReactNode }) => (
    <ServicesProvider value={{ lastFrame } as unknown as Services}>{children}</ServicesProvider>
  );
  return renderHook((given: TileFacts) => useLastFrame('id-a', given), { initialProps: facts, wrapper });
}

const pass = (milliseconds: number) => act(() => vi.advanceTimersByTimeAsync(milliseconds));

describe('the last picture that the server keeps (R1.1-11)', () => {
  it('is asked for once while the camera is away, and keeps the time at which it was taken', async () => {
    const { result } = hook(AWAY);
    await pass(0);
    expect(result.current?.takenAt).toBe(performance.now() - 30_000);
    const { takenAt } = result.current!;
    await pass(600_000);
    expect(lastFrame).toHaveBeenCalledTimes(1);
    expect(result.current?.takenAt).toBe(takenAt);
  });

  it('is asked for each minute while the camera is online without this page', async () => {
    hook({ ...AWAY, state: 'failed', online: true });
    await pass(120_000);
    expect(lastFrame).toHaveBeenCalledTimes(3);
  });

  it('is not asked for while most pictures come by themselves, and let go when this one moves', async () => {
    const connecting: TileFacts = { state: 'connecting', pictureStoppedAt: null, online: true };
    const { rerender, result } = hook(connecting);
    await pass(900);
    rerender({ ...connecting, state: 'live' });
    await pass(120_000);
    expect(lastFrame).not.toHaveBeenCalled();
    rerender(connecting);
    await pass(1_000);
    expect(result.current).not.toBeNull();
    rerender({ ...connecting, state: 'live' });
    expect(result.current).toBeNull();
  });

  it('stays when the server can’t be asked', async () => {
    const { result } = hook({ ...AWAY, state: 'failed', online: true });
    await pass(0);
    const kept = result.current;
    lastFrame.mockImplementation(() => Promise.reject(new Error('away')));
    await pass(60_000);
    expect(lastFrame).toHaveBeenCalledTimes(2);
    expect(result.current).toBe(kept);
  });

  it('that comes after the tile has gone is thrown away', async () => {
    let answer: (frame: { picture: Blob; ageSeconds: number }) => void = () => {};
    lastFrame.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    const { rerender, result } = hook(AWAY);
    await pass(0);
    rerender({ state: 'live', pictureStoppedAt: null, online: true });
    answer({ picture: new Blob(), ageSeconds: 1 });
    await pass(0);
    expect(result.current).toBeNull();
  });
});
