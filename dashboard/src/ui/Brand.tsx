import { useTranslation } from 'react-i18next';

import styles from './Brand.module.css';

export function Brand() {
  const { t } = useTranslation();
  return (
    <span className={styles.brand}>
      <img src="/marsad.svg" alt="" width="28" height="28" />
      <span>{t('app.name')}</span>
    </span>
  );
}
