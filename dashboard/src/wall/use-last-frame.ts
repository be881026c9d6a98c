import { useEffect, useState } from 'react';

import { useServices } from '../app/context';
import { ASK_AGAIN_MS, askAfter, type KeptFrame, type TileFacts } from './last-frame';

/** The picture that the server has kept of a camera, while the tile has none that moves. */
export function useLastFrame(cameraId: string, facts: TileFacts): KeptFrame | null {
  const { lastFrame } = useServices();
  const [kept, setKept] = useState<KeptFrame | null>(null);
  const after = askAfter(facts);
  const { online } = facts;
  const live = facts.state === 'live';

  useEffect(() => {
    if (after === null) return;
    let ended = false;
    let timer = setTimeout(() => void ask(), after);
    async function ask() {
      try {
        const frame = await lastFrame(cameraId);
        if (ended) return;
        if (frame) setKept({ picture: frame.picture, takenAt: performance.now() - frame.ageSeconds * 1_000 });
      } catch {
        // The tile says what is wrong; what it shows stays, and its age goes on.
      }
      // Only a camera that is online gets new ones.
      if (!ended && online) timer = setTimeout(() => void ask(), ASK_AGAIN_MS);
    }
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [lastFrame, cameraId, after, online]);

  // A picture of before is not kept in memory behind one that moves.
  useEffect(() => (live ? undefined : () => setKept(null)), [cameraId, live]);

  return kept;
}
