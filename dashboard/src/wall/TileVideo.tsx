import { useEffect, useRef } from 'react';

import { watchFrames } from '../live/frame-watch';
import type { LiveSession } from '../live/live-session';
import type { VideoSource } from '../live/room-pool';
import styles from './TileVideo.module.css';

interface Props {
  session: LiveSession;
  source: VideoSource | null;
  /** Whether the picture moves. When it stops, the still is shown: a track that ends leaves a black element. */
  live: boolean;
  label: string;
}

/** Shows a source and tells its session of each frame. */
export function TileVideo({ session, source, live, label }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);

  useEffect(() => {
    const element = video.current;
    if (!element || !source) return;
    source.attach(element);
    let keptAt = 0;
    return watchFrames(element, () => {
      session.frame(source);
      const now = performance.now();
      if (now - keptAt < KEEP_EVERY_MS || !still.current) return;
      keptAt = now;
      keepFrame(element, still.current);
    });
  }, [session, source]);

  useEffect(() => {
    const element = video.current;
    return () => {
      // An element that keeps its stream keeps its decoder (research/vms-and-walls.md 3.3).
      if (element) element.srcObject = null;
    };
  }, []);

  return (
    <>
      <video ref={video} className={styles.video} aria-label={label} autoPlay muted playsInline disablePictureInPicture />
      <canvas ref={still} className={styles.video} hidden={live} aria-hidden="true" />
    </>
  );
}

/** How much older than the last frame a still may be; it costs a copy of one small frame. */
const KEEP_EVERY_MS = 1_000;
/** Enough for a dimmed picture below words. */
const STILL_WIDTH = 320;

function keepFrame(video: HTMLVideoElement, canvas: HTMLCanvasElement): void {
  const { videoWidth, videoHeight } = video;
  if (videoWidth === 0 || videoHeight === 0) return;
  const height = Math.round((STILL_WIDTH * videoHeight) / videoWidth);
  if (canvas.width !== STILL_WIDTH) canvas.width = STILL_WIDTH;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext('2d')?.drawImage(video, 0, 0, STILL_WIDTH, height);
}
