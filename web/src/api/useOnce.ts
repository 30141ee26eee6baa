// Asking for something exactly once from a form, whatever happens to the page and to the answer.

import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useMe } from "../customers/queries";
import { beginDraft, type Draft, editDraft, readDraft } from "./draft";
import { NoAnswer } from "./problem";
import { ruleOn } from "./ruling";

const LONGEST_PAUSE_MS = 15_000;

type Once<T, R> = {
  /** Of the form, in the tab's session storage. */
  name: string;
  blank: T;
  /** Whoever calls it twice with one key asks once. */
  send: (typed: T, key: string) => Promise<R>;
  onKnown: (answer: R) => void;
};

/** A form whose contents and key outlive a reload. Until the answer is known it is closed and asked about again. */
export function useOnce<T, R>({ name, blank, send, onKnown }: Once<T, R>) {
  const customerId = useMe()?.id ?? "";
  const place = `remit-draft-${name}`;
  const [draft, setDraft] = useState(
    () => readDraft<T>(sessionStorage.getItem(place), customerId) ?? beginDraft(customerId, blank),
  );
  const hasMissed = useRef(false);
  function change(next: Draft<T>): void {
    try {
      sessionStorage.setItem(place, JSON.stringify(next));
    } catch {
      // A file that is too large for the storage does not outlive a reload. Its references keep it from being paid twice.
    }
    setDraft(next);
  }
  const ask = useMutation({
    mutationFn: ({ typed, key }: Draft<T>) => send(typed, key),
    retry: (_failures, error) => {
      const isUnknown = ruleOn(error, hasMissed.current) === "unknown";
      hasMissed.current ||= isUnknown;
      return isUnknown;
    },
    retryDelay: (failures) => Math.min(1000 * 2 ** failures, LONGEST_PAUSE_MS),
    onSuccess: (answer) => {
      change(beginDraft(customerId, blank));
      onKnown(answer);
    },
    onError: (error, asked) => change({ ...asked, isSent: ruleOn(error, hasMissed.current) === "stopped" }),
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was sent before a reload is asked about once
  useEffect(() => {
    if (!draft.isSent) return;
    hasMissed.current = true;
    ask.mutate(draft);
  }, []);
  return {
    typed: draft.typed,
    key: draft.key,
    type: (typed: T) => change(editDraft(draft, typed)),
    /** Send what is typed. `as`: what goes with it, such as the request that was read from it. */
    submit: (as: T = draft.typed) => {
      if (draft.isSent) return;
      hasMissed.current = false;
      const sent = { ...draft, typed: as, isSent: true };
      change(sent);
      ask.mutate(sent);
    },
    isSent: draft.isSent,
    isMissing: draft.isSent && (hasMissed.current || ask.failureCount > 0),
    refusal: draft.isSent ? null : ask.error,
  };
}

const HEDGES = 5;

/** A change that moves no money by itself. Its repeats have one key until the answer is known. */
export function useKeyed<T, R>(send: (wanted: T, key: string) => Promise<R>, onDone: (answer: R) => void) {
  const key = useRef(crypto.randomUUID());
  return useMutation({
    mutationFn: (wanted: T) => send(wanted, key.current),
    retry: (failures, error) => error instanceof NoAnswer && failures < HEDGES,
    onSuccess: (answer) => {
      key.current = crypto.randomUUID();
      onDone(answer);
    },
    onError: (error) => {
      if (ruleOn(error, true) === "refused") key.current = crypto.randomUUID();
    },
  });
}
