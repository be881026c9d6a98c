/** Sizes of the wall, in tiles. */
export const LAYOUTS = [1, 4, 9, 16] as const;
export type LayoutSize = (typeof LAYOUTS)[number];
export type LayoutChoice = LayoutSize | 'auto';

export const LARGEST: LayoutSize = 16;

/** Slot by index (in reading order), so that a wall means the same in both directions; null is an empty slot. */
export type Slots = readonly (string | null)[];

export const EMPTY: Slots = Array<string | null>(LARGEST).fill(null);

export function tilesOf(slots: Slots): string[] {
  return slots.filter((id) => id !== null);
}

/** How many slots the wall shows: the choice, or the smallest layout that holds what is on it. */
export function shownSize(slots: Slots, choice: LayoutChoice): LayoutSize {
  if (choice !== 'auto') return choice;
  const count = tilesOf(slots).length;
  return LAYOUTS.find((size) => size >= count) ?? LARGEST;
}

/** Whether everything on the wall fits into this many slots. */
export function fits(slots: Slots, size: LayoutSize): boolean {
  return tilesOf(slots).length <= size;
}

/**
 * Brings every tile into the first `size` slots and moves only those that are outside: what an operator is
 * looking at stays where it is.
 */
export function settle(slots: Slots, size: LayoutSize): Slots {
  const inside = slots.slice(0, size);
  const outside = slots.slice(size).filter((id) => id !== null);
  if (outside.length === 0) return slots;
  const settled = inside.map((id) => id ?? outside.shift() ?? null);
  return [...settled, ...EMPTY.slice(size)];
}

export interface Added {
  slots: Slots;
  choice: LayoutChoice;
}

/** The wall with one camera more, grown to the next layout if it must be; null when the largest is full. */
export function add(slots: Slots, choice: LayoutChoice, cameraId: string): Added | null {
  const count = tilesOf(slots).length + 1;
  if (count > LARGEST) return null;
  const grown = choice === 'auto' || count <= choice ? choice : (LAYOUTS.find((size) => size >= count) ?? LARGEST);
  const free = slots.indexOf(null);
  const next = slots.map((id, slot) => (slot === free ? cameraId : id));
  return { slots: settle(next, shownSize(next, grown)), choice: grown };
}

export function remove(slots: Slots, choice: LayoutChoice, cameraId: string): Slots {
  const next = slots.map((id) => (id === cameraId ? null : id));
  return settle(next, shownSize(next, choice));
}
