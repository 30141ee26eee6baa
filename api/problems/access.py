"""Who asks: sign-ins, sessions, API keys, second factors, and what a role may do."""

from collections.abc import Mapping

from api.problems.codes import Meaning

ACCESS: Mapping[str, Meaning] = {
    "not_authenticated": Meaning(401, "Not signed in", "Send `Authorization: Bearer` with an access token."),
    "token_expired": Meaning(401, "The access token has expired", "Get the next one at /v1/auth/refresh, or sign in."),
    "refresh_token_invalid": Meaning(
        401, "The refresh token is not valid", "Its session has ended. Sign in again at /v1/auth/login."
    ),
    "refresh_token_reused": Meaning(
        401,
        "The refresh token was used before",
        "It may be stolen, so the session has ended for everybody who holds its tokens. Sign in again.",
    ),
    "second_factor_required": Meaning(
        401, "A second factor is needed", "Send second_factor as well: a code of your app, or a recovery code."
    ),
    "second_factor_invalid": Meaning(
        401,
        "The second factor is not valid",
        "Send the present code of your app, each once, or an unused recovery code.",
    ),
    "credentials_invalid": Meaning(401, "Wrong email or password", "No customer has this email and password."),
    "forbidden": Meaning(403, "Not allowed", "Your role does not allow this."),
    "password_wrong": Meaning(403, "Wrong password", "This is not your present password."),
    "customer_disabled": Meaning(403, "You are disabled", "Staff of this service have disabled you. Ask them."),
    "api_key_refused": Meaning(403, "Not by an API key", "Sign in: no API key may do this, whatever its scopes."),
    "scope_missing": Meaning(403, "A scope is missing", "This API key needs the scope transfers:write."),
    "csrf_refused": Meaning(
        403,
        "The request is not of our page",
        "With cookies, send X-CSRF-Token with what the sign-in or refresh answered, from a page of this origin.",
    ),
    "second_factor_missing": Meaning(
        403,
        "Staff need a second factor",
        "Add one at /v1/auth/second-factor. This service asks it of everybody on its staff.",
    ),
    "mail_off": Meaning(403, "This service sends no mails", "Ask its staff for another password."),
    "not_staff": Meaning(403, "Not an operator or admin", "You are no longer an operator or admin."),
    "api_key_not_found": Meaning(404, "No such API key", "You have no API key with this id."),
    "session_not_found": Meaning(404, "No such session", "You have no session with this id."),
    "second_factor_exists": Meaning(
        409, "There is a second factor, or none was begun", "Begin to add one, or remove the present one first."
    ),
    "verification_code_invalid": Meaning(
        422, "The code is not valid", "It has expired, or it was made for another customer or address."
    ),
    "reset_code_invalid": Meaning(
        422, "The code is not valid", "It has expired or was used, or the password has changed. Ask for another mail."
    ),
    "too_many_attempts": Meaning(
        429, "Too many failed sign-ins", "Wait for the seconds in Retry-After, then try again."
    ),
}
