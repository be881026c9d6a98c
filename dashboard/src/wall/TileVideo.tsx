import { useEffect, useRef } from 'react';

import { watchFrames } from '../live/frame-watch';
import type { LiveSession } from '../live/live-session';
import type { VideoSource } from '../live/room-pool';
import styles from './TileVideo.module.css';

interface Props {
  session: LiveSession;
  source: VideoSource | null;
  label: string;
}

/** Shows a source and tells its session of each frame. Without a source the last picture stays, for what it is worth. */
export function TileVideo({ session, source, label }: Props) {
  const video = useRef<HTMLVideoElement>(null);

  useEffect(() => {
    const element = video.current;
    if (!element || !source) return;
    source.attach(element);
    return watchFrames(element, () => session.frame(source));
  }, [session, source]);

  useEffect(() => {
    const element = video.current;
    return () => {
      // An element that keeps its stream keeps its decoder (research/vms-and-walls.md 3.3).
      if (element) element.srcObject = null;
    };
  }, []);

  return <video ref={video} className={styles.video} aria-label={label} autoPlay muted playsInline disablePictureInPicture />;
}
