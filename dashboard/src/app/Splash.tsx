import { Brand } from '../ui/Brand';
import styles from './Splash.module.css';

interface Props {
  text: string;
  action?: string;
  onAction?: () => void;
}

/** The whole page with one thing to say. */
export function Splash({ text, action, onAction }: Props) {
  return (
    <main className={styles.splash}>
      <Brand />
      <p role="status">{text}</p>
      {action !== undefined && (
        <button type="button" className="button" onClick={onAction}>
          {action}
        </button>
      )}
    </main>
  );
}
