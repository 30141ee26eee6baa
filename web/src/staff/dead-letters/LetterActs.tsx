import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { ActButton } from "../ActButton";
import type { LetterFilters } from "./filters";

const READS = ["dead-letters", "dead-letter"];

type Letter = { letter: Schemas["DeadLetterSummaryOut"] };

const keyed = (letter: Letter["letter"], key: string) => ({
  path: { letter_id: letter.id },
  header: { "Idempotency-Key": key },
});

export function Replay({ letter }: Letter) {
  return (
    <ActButton
      label="Replay"
      isFirst
      title="Send this letter again?"
      says="To where it died and nowhere else, with its event's id. What dies again is another letter."
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/dead-letters/{letter_id}/replay", { params: keyed(letter, key), body: { reason } }),
        )
      }
      effect={() => "The letter is sent again."}
      reads={READS}
    />
  );
}

export function Discard({ letter }: Letter) {
  return (
    <ActButton
      label="Discard"
      title="Give this letter up?"
      says="For good: nobody sends it any more. It stays in the list, with your reason."
      isHard
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/dead-letters/{letter_id}/discard", { params: keyed(letter, key), body: { reason } }),
        )
      }
      effect={() => "The letter is given up."}
      reads={READS}
    />
  );
}

/** All letters that fit the filters, at most 500 at once. */
export function ReplayAll({ filters: { source, target } }: { filters: LetterFilters }) {
  const where = [source, target].filter(Boolean).join(" → ");
  return (
    <ActButton
      label={where ? "Replay all of these" : "Replay all"}
      title={where ? `Send all dead letters of ${where} again?` : "Send all dead letters again?"}
      says="Each goes to where it died and nowhere else, at most 500 at once. Make sure that the cause is gone."
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/dead-letters/replay", {
            params: { header: { "Idempotency-Key": key } },
            body: { reason, source, target },
          }),
        )
      }
      effect={({ items, has_more }) =>
        `${items.length} ${items.length === 1 ? "letter is" : "letters are"} sent again.${has_more ? " There are more: do it again." : ""}`
      }
      reads={READS}
    />
  );
}
