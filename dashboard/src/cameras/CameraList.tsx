import type { KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { CameraRow } from './CameraRow';
import styles from './CameraList.module.css';

interface Props {
  ids: readonly string[];
}

export function CameraList({ ids }: Props) {
  const { t } = useTranslation();
  return (
    // The keys move the focus among the buttons inside, each of which can also be reached by Tab.
    <ul className={styles.list} aria-label={t('cameras.list')} onKeyDown={moveFocus}>
      {ids.map((id) => (
        <CameraRow key={id} id={id} />
      ))}
    </ul>
  );
}

/** Up, Down, Home and End go from row to row. */
function moveFocus(event: KeyboardEvent<HTMLUListElement>): void {
  const row = (event.target as Element).closest('li');
  const list = event.currentTarget;
  const next = {
    ArrowDown: row?.nextElementSibling,
    ArrowUp: row?.previousElementSibling,
    Home: list.firstElementChild,
    End: list.lastElementChild,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.querySelector('button')?.focus();
}
