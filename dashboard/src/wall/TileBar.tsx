import { useTranslation } from 'react-i18next';

import { useServices } from '../app/context';
import type { TileState } from '../live/tile-state';
import { CloseIcon, MaximiseIcon, RestoreIcon } from '../ui/icons';
import styles from './TileBar.module.css';

interface Props {
  cameraId: string;
  name: string;
  agency: string | null;
  state: TileState;
  maximised: boolean;
  onRemove: (cameraId: string) => void;
}

/** Above a picture, and covering none of it: what it is, how it is, and what can be done with it. */
export function TileBar({ cameraId, name, agency, state, maximised, onRemove }: Props) {
  const { t } = useTranslation();
  const { wall } = useServices();
  const size = maximised ? t('tile.restore', { name }) : t('tile.maximise', { name });
  const remove = t('tile.remove', { name });
  return (
    <div className={styles.bar}>
      <span className={styles.badge} data-state={state}>
        {t(`tile.state.${state}`)}
      </span>
      <bdi className={styles.name} title={name}>
        {name}
      </bdi>
      {agency !== null && (
        <bdi className={styles.agency} dir="ltr">
          {agency}
        </bdi>
      )}
      {/* A double click on a button is two clicks, not a wish to maximise. */}
      <span className={styles.actions} onDoubleClick={(event) => event.stopPropagation()}>
        <button type="button" aria-label={size} title={size} onClick={() => wall.toggleMaximised(cameraId)}>
          {maximised ? <RestoreIcon /> : <MaximiseIcon />}
        </button>
        <button type="button" data-testid="tile-remove" aria-label={remove} title={remove} onClick={() => onRemove(cameraId)}>
          <CloseIcon />
        </button>
      </span>
    </div>
  );
}
