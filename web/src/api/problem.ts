// What can come back instead of an answer: a problem that the API describes, or nothing at all.

import type { components } from "./schema.gen";

export type ProblemDetails = components["schemas"]["ProblemDetails"];
export type FieldError = components["schemas"]["FieldError"];

/** A refusal of the API (RFC 9457). `retryAfter` in seconds, where it gives one. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    detail: string,
    readonly fields: ReadonlyMap<string, string> = new Map(),
    readonly retryAfter: number | null = null,
    /** Everything that is wrong with it, as the API said it. */
    readonly errors: readonly FieldError[] = [],
  ) {
    super(detail);
  }

  static of(details: Partial<ProblemDetails> | undefined, response: Response): Problem {
    const fields = new Map(
      (details?.errors ?? []).map(({ field, message }) => [field.replace(/^body\./, ""), message]),
    );
    const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
    return new Problem(
      details?.code ?? "internal_error",
      response.status,
      details?.detail ?? `The service answered ${response.status}.`,
      fields,
      Number.isFinite(seconds) ? seconds : null,
      details?.errors ?? [],
    );
  }
}

/** No answer came: it is not known whether the request arrived. */
export class NoAnswer extends Error {
  constructor() {
    super("The service does not answer. Check your connection.");
  }
}

type Answered<T> = { data?: T; error?: unknown; response: Response };

/** The body of an answer. Raises `Problem` for a refusal, and `NoAnswer` where none came. */
export async function answerTo<T>(sent: Promise<Answered<T>>): Promise<T> {
  let answered: Answered<T>;
  try {
    answered = await sent;
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new NoAnswer();
  }
  if (!answered.response.ok) throw Problem.of(answered.error as Partial<ProblemDetails>, answered.response);
  return answered.data as T;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The messages of a problem by the names of a form's inputs; what concerns none of them is left out. */
export function fieldErrors(error: unknown, names: readonly string[]): Record<string, string> {
  if (!(error instanceof Problem)) return {};
  return Object.fromEntries(
    [...error.fields].flatMap(([field, message]) => {
      const name = names.find((each) => field === each || field.startsWith(`${each}.`) || field.endsWith(`.${each}`));
      return name ? [[name, message]] : [];
    }),
  );
}
