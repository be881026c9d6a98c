import type { ReactNode } from 'react';

import styles from './icons.module.css';

interface Props {
  children: ReactNode;
  /** Points along the line of text, so it turns round in right-to-left. */
  directional?: boolean;
}

function Icon({ children, directional = false }: Props) {
  return (
    <svg
      className={directional ? `${styles.icon} ${styles.directional}` : styles.icon}
      viewBox="0 0 20 20"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const CloseIcon = () => (
  <Icon>
    <path d="M5 5l10 10M15 5L5 15" />
  </Icon>
);

export const MaximiseIcon = () => (
  <Icon>
    <path d="M8 4H4v4M12 4h4v4M8 16H4v-4M12 16h4v-4" />
  </Icon>
);

export const RestoreIcon = () => (
  <Icon>
    <path d="M4 8h4V4M16 8h-4V4M4 12h4v4M16 12h-4v4" />
  </Icon>
);

export const SearchIcon = () => (
  <Icon directional>
    <circle cx="9" cy="9" r="5" />
    <path d="M12.8 12.8L16.5 16.5" />
  </Icon>
);

export const SignOutIcon = () => (
  <Icon directional>
    <path d="M12 4H5v12h7M9 10h8M14 7l3 3-3 3" />
  </Icon>
);

export const OnWallIcon = () => (
  <Icon>
    <path d="M4 10.5l4 4 8-9" />
  </Icon>
);

export const NoPictureIcon = () => (
  <Icon>
    <path d="M3 6h9v8H3zM12 9l5-2.5v7L12 11M3 3l14 14" />
  </Icon>
);
