import { createStore, type StoreApi } from 'zustand/vanilla';

/** The one thing to tell the operator now; a later one takes its place. */
export interface Notice {
  kind: 'wall-full';
}

export interface NoticeStore extends StoreApi<{ notice: Notice | null }> {
  show(notice: Notice): void;
  dismiss(): void;
}

const SHOWN_FOR_MS = 6_000;

export function createNoticeStore(): NoticeStore {
  const store = createStore<{ notice: Notice | null }>(() => ({ notice: null }));
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    ...store,
    show(notice) {
      clearTimeout(timer);
      timer = setTimeout(() => store.setState({ notice: null }), SHOWN_FOR_MS);
      store.setState({ notice });
    },
    dismiss() {
      clearTimeout(timer);
      store.setState({ notice: null });
    },
  };
}
