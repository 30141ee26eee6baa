// What the pages have read, and when they read it again.

import { QueryClient } from "@tanstack/react-query";
import { NoAnswer, Problem } from "./problem";

const TRIES = 3;

/** Whether the same request may fare better: the service was busy or did not answer. */
function isPassing(error: unknown): boolean {
  return error instanceof NoAnswer || (error instanceof Problem && (error.status >= 500 || error.status === 429));
}

export const cache = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => isPassing(error) && failures < TRIES,
      // A page that is offline shows that it is, instead of waiting in silence.
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});
