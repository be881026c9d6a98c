import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { ageOf } from './age';
import styles from './LastPicture.module.css';

interface Props {
  /** `performance.now()` of the last frame. */
  stoppedAt: number;
}

/** How old the picture below is: an operator must not act on a picture of a minute ago. */
export function LastPicture({ stoppedAt }: Props) {
  const { t } = useTranslation();
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const { unit, value } = ageOf(now - stoppedAt);
  return <p className={styles.age}>{t('tile.lastPicture', { age: t(`tile.${unit}`, { value }) })}</p>;
}
