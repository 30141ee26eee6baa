import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";

export type Customer = Schemas["CustomerOut"];

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: () => answerTo(api.GET("/v1/auth/me")),
  staleTime: 60_000,
});

/** Who is signed in. Pages behind the sign-in have it from their start. */
export function useMe(): Customer | undefined {
  return useQuery(meQuery).data;
}
