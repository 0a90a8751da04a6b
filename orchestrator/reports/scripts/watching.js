// A page that is kept current: it loads itself again once there is a newer one, and stays where it was.

const watching = (() => {
  const MILLISECONDS = 2000;
  const { stamp } = document.documentElement.dataset;
  const key = `report ${location.pathname}`;
  const kept = stamped() ?? {};

  function stamped() {
    try {
      const found = JSON.parse(sessionStorage.getItem(key));
      sessionStorage.removeItem(key);
      return found;
    } catch {
      return null; // where a page may keep nothing
    }
  }

  /** Whether somebody types, drags, or looks at a picture. */
  function isBusy() {
    return document.activeElement?.matches("input[type=text], input[type=search], select") || document.querySelector("dialog.picture[open], dialog.large[open]") || isHeld;
  }

  function reload(isThere) {
    const left = { isThere, y: scrollY, view: document.querySelector("dialog.view[open]")?.scrollTop, shown: links.state() };
    try {
      sessionStorage.setItem(key, JSON.stringify(left));
    } catch {
      // then it begins at its top
    }
    location.reload();
  }

  let isHeld = false;
  let wasThere = kept.isThere ?? false;

  // A page in a file may ask for pictures alone; the width of this one says which page there is.
  function look() {
    const image = new Image();
    image.onload = () => {
      wasThere = true;
      if (image.naturalWidth !== Number(stamp) && !isBusy()) reload(true);
    };
    image.onerror = () => wasThere && !isBusy() && reload(false); // it is gone: the last page is there
    image.src = `report-stamp.svg?${Date.now()}`;
  }

  return {
    kept,
    start() {
      if (kept.y !== undefined) scrollTo(0, kept.y);
      const view = document.querySelector("dialog.view[open]");
      if (view && kept.view) view.scrollTop = kept.view;
      if (!stamp) return;
      addEventListener("pointerdown", () => (isHeld = true));
      for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (isHeld = false));
      setInterval(look, MILLISECONDS);
    },
  };
})();
