import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";

export type OpenReview = Schemas["OpenReviewOut"];

/** What waits for a decision, with its deadline and who has decided. */
export const reviewsQuery = listQuery(
  ["reviews", "list"],
  (cursor) => answerTo(api.GET("/v1/admin/reviews", { params: { query: { limit: PAGE, cursor } } })),
  AGAIN_MS,
);
