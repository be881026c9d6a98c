import { memo } from 'react';
import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { reasonText } from '../i18n/reason-text';
import { useLanguage } from '../i18n/use-language';
import { markClick } from '../live/marks';
import { reportedFailure } from '../live/tile-state';
import { OnWallIcon } from '../ui/icons';
import { displayName } from './names';
import styles from './CameraRow.module.css';

interface Props {
  id: string;
}

/** A camera in the list. Choosing it puts it on the wall; choosing it again points at its tile. */
export const CameraRow = memo(function CameraRow({ id }: Props) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { cameras, wall, notices } = useServices();
  const camera = useStore(cameras, (state) => state.cameras.get(id));
  const onWall = useStore(wall, (state) => state.slots.includes(id));
  if (!camera) return null;
  const name = displayName(camera, language);
  const failure = reportedFailure(camera);
  const status =
    failure && camera.state !== 'suspended' ? reasonText(t, failure.reason) : t(`state.${camera.state}`);
  // That a camera is online needs no words for those who see its dot.
  const className = camera.state === 'online' && !failure ? 'unseen' : styles.status;
  const choose = () => {
    if (!onWall) markClick(id);
    if (wall.add(id) === 'full') notices.show({ kind: 'wall-full' });
  };
  return (
    <li className={styles.row} data-testid="camera-row" data-camera-id={id} data-state={camera.state}>
      <button
        type="button"
        aria-pressed={onWall}
        title={onWall ? t('cameras.point', { name }) : t('cameras.add', { name })}
        onClick={choose}
      >
        <span className={styles.dot} data-state={failure?.state === 'failed' ? 'failed' : camera.state} />
        <span className={styles.text}>
          <span className={styles.name}>
            <bdi>{name}</bdi>
          </span>
          <span className={styles.meta}>
            <bdi dir="ltr">{camera.agency ?? camera.namespace}</bdi>
            {' · '}
            <bdi dir="ltr">{camera.name}</bdi>
          </span>
          <span className={className}>{status}</span>
        </span>
        {onWall && (
          <span className={styles.onWall} title={t('cameras.onWall')}>
            <OnWallIcon />
          </span>
        )}
      </button>
    </li>
  );
});
