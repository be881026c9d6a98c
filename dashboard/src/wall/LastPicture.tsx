import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { formatAge } from '../i18n/language';
import { useLanguage } from '../i18n/use-language';
import { ageOf } from './age';
import styles from './LastPicture.module.css';

interface Props {
  /** `performance.now()` of the picture; before the page was loaded, below zero. */
  takenAt: number;
}

/** How old the picture below is: an operator must not act on a picture of a minute ago. */
export function LastPicture({ takenAt }: Props) {
  const { t } = useTranslation();
  const language = useLanguage();
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const { unit, value } = ageOf(now - takenAt);
  return <p className={styles.age}>{t('tile.lastPicture', { age: formatAge(value, unit, language) })}</p>;
}
