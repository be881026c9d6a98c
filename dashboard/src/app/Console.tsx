import { useTranslation } from 'react-i18next';

import { CameraPanel } from '../cameras/CameraPanel';
import { NoticeBar } from '../notices/NoticeBar';
import { Wall } from '../wall/Wall';
import styles from './Console.module.css';
import { Header } from './Header';

/** What an operator works with: the list of cameras beside the wall. */
export function Console() {
  const { t } = useTranslation();
  return (
    <div className={styles.console}>
      <a className="skip" href="#wall">
        {t('app.skipToWall')}
      </a>
      <Header />
      <CameraPanel />
      <Wall />
      <NoticeBar />
    </div>
  );
}
