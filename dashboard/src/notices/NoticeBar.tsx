import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { CloseIcon } from '../ui/icons';
import { LARGEST } from '../wall/layout';
import styles from './NoticeBar.module.css';

export function NoticeBar() {
  const { t } = useTranslation();
  const { notices } = useServices();
  const notice = useStore(notices, (state) => state.notice);
  return (
    <div role="status" className={styles.place}>
      {notice?.kind === 'wall-full' && (
        <p className={styles.notice}>
          {t('wall.full', { count: LARGEST })}
          <button type="button" className="iconButton" aria-label={t('wall.dismiss')} onClick={() => notices.dismiss()}>
            <CloseIcon />
          </button>
        </p>
      )}
    </div>
  );
}
