import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { NO_FILTER } from './filter';
import styles from './EmptyList.module.css';

/** Why the list shows nothing: not loaded, not loadable, no cameras, or a filter that matches none. */
export function EmptyList() {
  const { t } = useTranslation();
  const { cameras, filter } = useServices();
  const { link, order } = useStore(cameras);
  if (order.length > 0) {
    return (
      <div className={styles.empty}>
        <p>{t('cameras.noMatch')}</p>
        <button type="button" className="button" onClick={() => filter.setState(NO_FILTER)}>
          {t('cameras.resetFilters')}
        </button>
      </div>
    );
  }
  if (link === 'loading') return <p className={styles.empty}>{t('cameras.loading')}</p>;
  if (link === 'lost') return <p className={styles.empty}>{t('cameras.loadFailed')}</p>;
  return (
    <div className={styles.empty}>
      <p>{t('cameras.empty')}</p>
      <p>{t('cameras.emptyHint')}</p>
    </div>
  );
}
