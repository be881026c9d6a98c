import { createStore, type StoreApi } from 'zustand/vanilla';

import type { Api } from '../api/client';
import { ApiError } from '../api/problem';
import type { User } from '../api/types';

/** `unknown`: the cookie has not been tried yet. `unreachable`: nobody answered when it was. */
export type AuthStatus = 'unknown' | 'unreachable' | 'signed-out' | 'expired' | 'signed-in';

export interface AuthState {
  status: AuthStatus;
  /** Also while expired, so that the same person finds the same wall. */
  user: User | null;
}

export interface AuthStore extends StoreApi<AuthState> {
  /** Tries the cookie of an earlier visit. */
  restore(): Promise<void>;
  /** Rejects with what the server said. */
  signIn(username: string, password: string): Promise<void>;
  /** `unreachable` when the server could not be told. */
  signOut(): Promise<void>;
  /** The server no longer knows the session. */
  expire(): void;
}

export function createAuthStore(api: Pick<Api, 'login' | 'logout' | 'me'>): AuthStore {
  const store = createStore<AuthState>(() => ({ status: 'unknown', user: null }));
  const { setState } = store;
  return {
    ...store,
    async restore() {
      setState({ status: 'unknown' });
      try {
        setState({ status: 'signed-in', user: await api.me() });
      } catch (error) {
        const refused = error instanceof ApiError && error.status === 401;
        setState({ status: refused ? 'signed-out' : 'unreachable', user: null });
      }
    },
    async signIn(username, password) {
      setState({ status: 'signed-in', user: await api.login(username, password) });
    },
    async signOut() {
      // First the page: leases are given back while the session still holds.
      setState({ status: 'signed-out', user: null });
      try {
        await api.logout();
      } catch {
        // The cookie may still be good: do not pretend that it is gone.
        setState({ status: 'unreachable' });
      }
    },
    expire() {
      setState((state) => (state.status === 'signed-in' ? { status: 'expired' } : {}));
    },
  };
}
