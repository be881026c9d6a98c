/** RFC 9457 document of every Marsad error, with our members. */
export interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  instance?: string;
  code?: string;
  message_en?: string;
  message_ar?: string;
  request_id?: string;
  /** Why a camera is offline, with code `CameraOffline`. */
  reason?: string;
}

/** An answer that is not 2xx. `code` is stable; the messages are for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly problem: ProblemDocument;
  readonly retryAfterSeconds: number | null;

  constructor(status: number, problem: ProblemDocument, retryAfterSeconds: number | null) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? '';
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** No answer at all: the network, or a server that is away. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

const TEXT_MEMBERS = [
  'type', 'title', 'detail', 'instance', 'code', 'message_en', 'message_ar', 'request_id', 'reason',
] as const;

/** What an error answer says; a body that is no problem document (a proxy's page) gives an empty one. */
export async function problemOf(response: Response): Promise<ApiError> {
  const problem: ProblemDocument = {};
  try {
    const body: unknown = await response.json();
    if (typeof body === 'object' && body !== null) {
      for (const member of TEXT_MEMBERS) {
        const value: unknown = (body as Record<string, unknown>)[member];
        if (typeof value === 'string') problem[member] = value;
      }
    }
  } catch {
    // Not JSON: the status is all there is.
  }
  return new ApiError(response.status, problem, retryAfter(response.headers.get('Retry-After')));
}

function retryAfter(value: string | null): number | null {
  if (value === null) return null;
  const seconds = Number(value);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
