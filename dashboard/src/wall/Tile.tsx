import { type KeyboardEvent, memo, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { displayName } from '../cameras/names';
import { useLanguage } from '../i18n/use-language';
import type { LiveSession } from '../live/live-session';
import { shownPicture } from './last-frame';
import { TileBar } from './TileBar';
import { TileMessage } from './TileMessage';
import { TileStill } from './TileStill';
import { TileVideo } from './TileVideo';
import { useLastFrame } from './use-last-frame';
import styles from './Tile.module.css';

interface Props {
  cameraId: string;
  maximised: boolean;
  /** Behind a maximised tile: it plays on, but is out of reach. */
  hidden: boolean;
  onRemove: (cameraId: string) => void;
}

export const Tile = memo(function Tile(props: Props) {
  const session = useServices().sessions.get(props.cameraId);
  return session ? <SessionTile {...props} session={session} /> : null;
});

function SessionTile({ cameraId, maximised, hidden, onRemove, session }: Props & { session: LiveSession }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { cameras, wall } = useServices();
  const camera = useStore(cameras, (state) => state.cameras.get(cameraId));
  const { state, reason, source, pictureStoppedAt } = useStore(session.view);
  const tile = usePointedOut(cameraId);
  const online = camera?.state === 'online';
  const kept = useLastFrame(cameraId, { state, pictureStoppedAt, online });
  const last = shownPicture(state, pictureStoppedAt, kept);

  const name = camera ? displayName(camera, language) : t('tile.unknownCamera');
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    // Keys of the tile itself; its buttons have their own.
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter') wall.toggleMaximised(cameraId);
    else if (event.key === 'Delete' || event.key === 'Backspace') onRemove(cameraId);
    else return;
    event.preventDefault();
  };
  return (
    <article
      ref={tile}
      className={styles.tile}
      data-testid="tile"
      data-camera-id={cameraId}
      data-state={state}
      data-reason={reason ?? undefined}
      data-maximised={maximised}
      aria-label={t('tile.label', { name, state: t(`tile.state.${state}`) })}
      tabIndex={0}
      inert={hidden}
      onKeyDown={onKeyDown}
      onDoubleClick={() => wall.toggleMaximised(cameraId)}
    >
      <TileBar
        cameraId={cameraId}
        name={name}
        agency={camera?.agency ?? null}
        state={state}
        maximised={maximised}
        onRemove={onRemove}
      />
      <div className={styles.picture}>
        <TileVideo session={session} source={source} live={state === 'live'} label={t('tile.video', { name })} />
        {last.still !== null && <TileStill picture={last.still} label={t('tile.still', { name })} />}
        <TileMessage state={state} reason={reason} pictureTakenAt={last.takenAt} name={name} />
      </div>
    </article>
  );
}

/** The tile takes the focus and flashes once when its camera is chosen again in the list. */
function usePointedOut(cameraId: string) {
  const { wall } = useServices();
  const tile = useRef<HTMLElement>(null);
  const turn = useStore(wall, ({ pointed }) => (pointed?.cameraId === cameraId ? pointed.turn : 0));
  useEffect(() => {
    if (turn === 0 || !tile.current) return;
    tile.current.focus();
    if (window.matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    tile.current.animate({ outline: ['4px solid #5cc8ff', '4px solid transparent'] }, { duration: 1_200 });
  }, [turn]);
  return tile;
}
