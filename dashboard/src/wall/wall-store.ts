import { createStore, type StoreApi } from 'zustand/vanilla';

import * as layout from './layout';

export interface WallState {
  slots: layout.Slots;
  choice: layout.LayoutChoice;
  maximised: string | null;
  /** A tile that asks for the eye: its camera was chosen again in the list. `turn` tells two requests apart. */
  pointed: { cameraId: string; turn: number } | null;
}

export interface WallStore extends StoreApi<WallState> {
  /** `full`: the largest layout has no free slot. `present`: it was there already and is pointed at. */
  add(cameraId: string): 'added' | 'present' | 'full';
  remove(cameraId: string): void;
  clear(): void;
  /** Ignored when the tiles do not fit. */
  choose(choice: layout.LayoutChoice): void;
  toggleMaximised(cameraId: string): void;
}

export function createWallStore(): WallStore {
  const store = createStore<WallState>(() => ({
    slots: layout.EMPTY,
    choice: 'auto',
    maximised: null,
    pointed: null,
  }));
  const { getState, setState } = store;
  return {
    ...store,
    add(cameraId) {
      const { slots, choice, pointed } = getState();
      if (slots.includes(cameraId)) {
        setState({ pointed: { cameraId, turn: (pointed?.turn ?? 0) + 1 }, maximised: null });
        return 'present';
      }
      const added = layout.add(slots, choice, cameraId);
      if (!added) return 'full';
      // A new tile behind a maximised one would not be seen.
      setState({ ...added, maximised: null });
      return 'added';
    },
    remove(cameraId) {
      const { slots, choice, maximised } = getState();
      setState({
        slots: layout.remove(slots, choice, cameraId),
        maximised: maximised === cameraId ? null : maximised,
      });
    },
    clear() {
      setState({ slots: layout.EMPTY, maximised: null });
    },
    choose(choice) {
      const { slots } = getState();
      if (choice !== 'auto' && !layout.fits(slots, choice)) return;
      setState({ choice, slots: layout.settle(slots, layout.shownSize(slots, choice)), maximised: null });
    },
    toggleMaximised(cameraId) {
      setState(({ maximised }) => ({ maximised: maximised === cameraId ? null : cameraId }));
    },
  };
}
