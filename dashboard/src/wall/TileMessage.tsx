import { useTranslation } from 'react-i18next';

import { reasonText } from '../i18n/reason-text';
import type { TileState } from '../live/tile-state';
import { NoPictureIcon } from '../ui/icons';
import { LastPicture } from './LastPicture';
import styles from './TileMessage.module.css';

interface Props {
  state: TileState;
  reason: string | null;
  /** `performance.now()` of the picture below; null when there is none. */
  pictureTakenAt: number | null;
  name: string;
}

/** Over a picture that is not live: what is being waited for, or why there is none. */
export function TileMessage({ state, reason, pictureTakenAt, name }: Props) {
  const { t } = useTranslation();
  const busy = state === 'connecting' || state === 'waiting';
  const text = reason === null ? t(`tile.state.${state}`) : reasonText(t, reason);
  return (
    <>
      {state !== 'live' && (
        <div className={styles.veil} data-state={state}>
          {busy ? <span className={styles.pulse} /> : <NoPictureIcon />}
          <p className={styles.text}>{text}</p>
          {pictureTakenAt !== null && <LastPicture takenAt={pictureTakenAt} />}
          {reason !== null && (
            <bdi dir="ltr" className={styles.code}>
              {reason}
            </bdi>
          )}
        </div>
      )}
      {/* Told to those who do not see it; what comes and goes while connecting is not news. */}
      <p role="status" className="unseen">
        {busy ? '' : `${t('tile.label', { name, state: t(`tile.state.${state}`) })}${reason === null ? '' : `. ${text}`}`}
      </p>
    </>
  );
}
