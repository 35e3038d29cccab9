/** The page as the server hands it out: pictures come through a WebSocket. */
import { SocketEngine } from "./socket_engine.js";
import { start } from "./main.js";

start(new SocketEngine());
