import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { formatNumber } from '../i18n/language';
import { useLanguage } from '../i18n/use-language';
import { fits, LAYOUTS, tilesOf } from './layout';
import styles from './WallToolbar.module.css';

export function WallToolbar() {
  const { t } = useTranslation();
  const language = useLanguage();
  const { wall } = useServices();
  const { slots, choice } = useStore(wall);
  return (
    <div className={styles.toolbar}>
      <div className="segments" role="group" aria-label={t('wall.layout')}>
        <button type="button" aria-pressed={choice === 'auto'} onClick={() => wall.choose('auto')}>
          {t('wall.layoutAuto')}
        </button>
        {LAYOUTS.map((size) => {
          const label = t('wall.layoutSize', { count: size });
          const possible = fits(slots, size);
          return (
            <button
              key={size}
              type="button"
              aria-pressed={choice === size}
              aria-disabled={!possible}
              aria-label={possible ? label : `${label}. ${t('wall.layoutTooSmall')}`}
              title={possible ? label : t('wall.layoutTooSmall')}
              onClick={() => wall.choose(size)}
            >
              {formatNumber(size, language)}
            </button>
          );
        })}
      </div>
      {tilesOf(slots).length > 0 && (
        <button type="button" className={styles.clear} onClick={() => wall.clear()}>
          {t('wall.clear')}
        </button>
      )}
    </div>
  );
}
