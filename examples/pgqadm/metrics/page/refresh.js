"use strict";

// Replaces the content of the page every few seconds, and keeps the position and the focus. Without this file, the
// browser loads the page again.
const PERIOD = 5000;
const LIMIT = 15000;
const state = document.getElementById("refresh");

async function load() {
    const signal = AbortSignal.timeout(LIMIT);
    const address = new URL(window.location.href);
    // An address with a password cannot be fetched. The browser sends the password by itself.
    address.username = address.password = "";
    const answer = await fetch(address, { cache: "no-store", signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = page.querySelector("main");
    if (main === null) {
        throw new Error(`status ${answer.status}`);
    }
    return main;
}

function replace(fresh) {
    const old = document.querySelector("main");
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const [x, y] = [window.scrollX, window.scrollY];
    old.replaceWith(document.adoptNode(fresh));
    const links = [...fresh.querySelectorAll("a")];
    links.find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
    window.scrollTo(x, y);
}

// A hidden page need not be fresh, and a selection would be lost.
function isPaused() {
    return document.hidden || window.getSelection()?.isCollapsed === false;
}

async function refresh() {
    if (!isPaused()) {
        try {
            const fresh = await load();
            if (!isPaused()) {
                replace(fresh);
            }
            state.textContent = "";
        } catch (error) {
            state.textContent = `not refreshed: ${error.message}; retrying every ${PERIOD / 1000} seconds`;
        }
    }
    setTimeout(refresh, PERIOD);
}

setTimeout(refresh, PERIOD);
