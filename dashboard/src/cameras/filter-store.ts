import { createStore, type StoreApi } from 'zustand/vanilla';

import { type Filter, NO_FILTER } from './filter';

export type FilterStore = StoreApi<Filter>;

export function createFilterStore(): FilterStore {
  return createStore<Filter>(() => NO_FILTER);
}
