import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { useServices } from '../app/context';
import { CameraFilters } from './CameraFilters';
import { CameraList } from './CameraList';
import { EmptyList } from './EmptyList';
import { filterCameras } from './filter';
import styles from './CameraPanel.module.css';

export function CameraPanel() {
  const { t } = useTranslation();
  const services = useServices();
  const { cameras, order } = useStore(services.cameras);
  const filter = useStore(services.filter);
  const { ids, counts } = useMemo(() => filterCameras(order, cameras, filter), [order, cameras, filter]);
  return (
    <aside className={styles.panel} aria-labelledby="cameras-title">
      <div className={styles.top}>
        <h2 id="cameras-title">{t('cameras.title')}</h2>
        <p role="status" className={styles.count}>
          {order.length > 0 && t('cameras.shown', { count: ids.length })}
        </p>
      </div>
      <CameraFilters counts={counts} />
      {ids.length > 0 ? <CameraList ids={ids} /> : <EmptyList />}
    </aside>
  );
}
