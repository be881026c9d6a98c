import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { shownSize, tilesOf } from './layout';
import { Tile } from './Tile';
import { WallToolbar } from './WallToolbar';
import styles from './Wall.module.css';

export function Wall() {
  const { t } = useTranslation();
  const { wall } = useServices();
  const { slots, choice, maximised } = useStore(wall);
  const area = useRef<HTMLElement>(null);
  useEscape(maximised);

  const size = shownSize(slots, choice);
  const empty = tilesOf(slots).length === 0;
  const remove = (cameraId: string) => {
    wall.remove(cameraId);
    // The button that had the focus is gone with its tile.
    area.current?.focus();
  };
  return (
    <main ref={area} id="wall" className={styles.area} aria-label={t('wall.title')} tabIndex={-1}>
      <WallToolbar />
      {empty ? (
        <p className={styles.empty}>{t('wall.empty')}</p>
      ) : (
        <div className={styles.grid} data-testid="wall" data-size={size}>
          {slots.slice(0, size).map((id, slot) =>
            id === null ? (
              <div key={`free-${slot}`} className={styles.free} aria-hidden="true" />
            ) : (
              <Tile
                key={id}
                cameraId={id}
                maximised={maximised === id}
                hidden={maximised !== null && maximised !== id}
                onRemove={remove}
              />
            ),
          )}
        </div>
      )}
    </main>
  );
}

/** Escape restores a maximised tile, wherever the focus is. */
function useEscape(maximised: string | null): void {
  const { wall } = useServices();
  useEffect(() => {
    if (maximised === null) return;
    const restore = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented) wall.toggleMaximised(maximised);
    };
    document.addEventListener('keydown', restore);
    return () => document.removeEventListener('keydown', restore);
  }, [maximised, wall]);
}
