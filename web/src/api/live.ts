// What happens to the customer as it happens, by GraphQL subscriptions over one socket.

import { createClient } from "graphql-ws";
import { distrust, renewIfDue, signedOut } from "./session";

export type AccountChange = {
  type: string;
  accountId: string;
  version: number | null;
  entry: { balanceAfter: number } | null;
};

export type AddedNotification = { id: string; type: string; body: string; transferId: string | null };

export type Live = {
  onAccount: (change: AccountChange) => void;
  onNotification: (added: AddedNotification) => void;
  /** The socket is open, for the first time or again: what happened before has to be read. */
  onOpen: () => void;
};

const ACCOUNTS = "subscription { accountChanged { type accountId version entry { balanceAfter } } }";
const NOTIFICATIONS = "subscription { notificationAdded { notification { id type body transferId } } }";
// The session has ended, or its access token has.
const FORBIDDEN = 4403;

const LONGEST_PAUSE_MS = 15_000;

/** Follow until the returned function is called. A lost connection is opened again, with longer and longer pauses. */
export function follow(live: Live): () => void {
  let isOver = false;
  const socket = createClient({
    // The cookie says who it is, and a refused socket does not say why: so it must not have expired.
    url: async () => {
      isOver = !(await renewIfDue());
      if (isOver) signedOut();
      return `${location.origin.replace(/^http/, "ws")}/graphql`;
    },
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => !isOver,
    retryWait: (retries) =>
      new Promise((resume) =>
        setTimeout(resume, Math.min(1000 * 2 ** retries, LONGEST_PAUSE_MS) * (0.5 + Math.random())),
      ),
    keepAlive: 20_000,
    on: {
      connected: live.onOpen,
      closed: (event) => {
        if ((event as CloseEvent).code === FORBIDDEN) distrust();
      },
    },
  });
  const nothing = () => {};
  socket.subscribe<{ accountChanged: AccountChange }>(
    { query: ACCOUNTS },
    {
      next: ({ data }) => data && live.onAccount(data.accountChanged),
      error: nothing,
      complete: nothing,
    },
  );
  socket.subscribe<{ notificationAdded: { notification: AddedNotification } }>(
    { query: NOTIFICATIONS },
    {
      next: ({ data }) => data && live.onNotification(data.notificationAdded.notification),
      error: nothing,
      complete: nothing,
    },
  );
  return () => socket.dispose();
}
