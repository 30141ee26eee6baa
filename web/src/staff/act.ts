// One act of staff: its key is made before it is sent, and is the same in every repeat until its outcome is known.

import { notifications } from "@mantine/notifications";
import { type UseMutationResult, useMutation } from "@tanstack/react-query";
import { type ReactNode, useRef } from "react";
import { cache } from "../api/cache";
import { NoAnswer, Problem } from "../api/problem";

const HEDGES = 5;

/** Whether nobody knows what became of it: the same request again finds out. */
export function isUnknown(error: unknown): boolean {
  return error instanceof NoAnswer || (error instanceof Problem && error.status >= 500);
}

export type Acted<T> = {
  /** Sends it. Whoever calls it twice with one key acts once. */
  send: (reason: string, key: string) => Promise<T>;
  /** What it has done, in a sentence. */
  effect: (answer: T) => string;
  /** The first words of the query keys that it changes. */
  reads: readonly string[];
  onDone?: (answer: T) => void;
};

export type Act<T> = Acted<T> & {
  label: string;
  /** What is asked before it is done, and what it does. */
  title: string;
  says: ReactNode;
  confirm?: string;
  /** For what takes something away. */
  isHard?: boolean;
  /** Why it may not be done now, such as an input that is missing. */
  objection?: string | null;
  children?: ReactNode;
};

export function useAct<T>({ send, effect, reads, onDone }: Acted<T>): UseMutationResult<T, Error, string> {
  const key = useRef(crypto.randomUUID());
  return useMutation({
    mutationFn: (reason: string) => send(reason, key.current),
    retry: (failures, error) => error instanceof NoAnswer && failures < HEDGES,
    onSuccess: (answer) => {
      key.current = crypto.randomUUID();
      notifications.show({ message: effect(answer), color: "green" });
      for (const read of [...reads, "actions", "audit-records"]) cache.invalidateQueries({ queryKey: [read] });
      onDone?.(answer);
    },
    onError: (error) => {
      // What was refused has used its key up. What is not known keeps it.
      if (!isUnknown(error)) key.current = crypto.randomUUID();
    },
  });
}
