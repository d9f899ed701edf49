import { SyncError } from '../shared/error.js';
import { receive } from './receive.js';

export type { SyncErrorCode } from '../shared/error.js';
export type { LevelDatabase } from '../stores/database.js';
export type { ReceiveCallback, ReceiveOptions } from './receive.js';
export { SyncError, receive };
/** Like browser-sync-stream: in a page the module itself is `receive`. */
export default receive;
