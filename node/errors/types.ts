/** An error's page: what happened, and what to do about it. Codes are for good: a program may switch on them. */
export type ErrorPage = readonly [what: string, remedy: string]
export type ErrorPages = Readonly<Record<string, ErrorPage>>
