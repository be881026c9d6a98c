import { useEffect, useRef } from 'react';

import styles from './TileVideo.module.css';

interface Props {
  /** An MP4 of one frame. */
  picture: Blob;
  label: string;
}

/** Shows one frame: it plays to its end at once, and stands there. */
export function TileStill({ picture, label }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const url = URL.createObjectURL(picture);
    element.src = url;
    return () => {
      // An element that keeps its source keeps its decoder (research/vms-and-walls.md 3.3).
      element.removeAttribute('src');
      element.load();
      URL.revokeObjectURL(url);
    };
  }, [picture]);
  return (
    <video
      ref={video}
      className={styles.video}
      data-testid="tile-still"
      aria-label={label}
      preload="auto"
      autoPlay
      muted
      playsInline
      disablePictureInPicture
    />
  );
}
