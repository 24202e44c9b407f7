"use strict";

// The form: a label, a number and a slider for each setting, and what the setting is in the paper's words.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Fill the form. `onInput(name, value)` hears of every valid value, `onDone()` when a hand is lifted. */
function makeControls(form, onInput, onDone) {
  for (const setting of SETTINGS) {
    if (setting.choices) form.append(choiceControl(setting, onInput, onDone));
    else if (setting.says) form.append(numberControl(setting, onInput, onDone));
  }
}

function numberControl(setting, onInput, onDone) {
  const { name, range, says } = setting;
  const told = { "aria-describedby": `${name}-says ${name}-wrong`, autocomplete: "off", spellcheck: "false" };
  const [min, max, step] = range ?? [];
  const field = range
    ? element("input", { id: name, type: "number", min, max, step, ...told })
    : element("input", { id: name, type: "text", inputmode: "numeric", ...told });
  const wrong = element("p", { id: `${name}-wrong`, class: "wrong", role: "alert" });
  const inputs = [field];
  if (range) inputs.push(element("input", { type: "range", min, max, step, "aria-label": `${name}, slider` }));
  for (const input of inputs) {
    input.addEventListener("input", () => {
      try {
        const value = parseSetting(setting, input.value);
        for (const other of inputs) if (other !== input) other.value = value;
        tellWrong(field, "");
        onInput(name, value);
      } catch (error) {
        tellWrong(field, error.message);
      }
    });
    input.addEventListener("change", onDone);
  }
  const control = element("div", { class: "control" }, element("label", { for: name }, name), ...inputs, wrong);
  control.append(element("p", { id: `${name}-says`, class: "says" }, says));
  return control;
}

function choiceControl({ name, title, choices, says }, onInput, onDone) {
  const group = element("fieldset", { class: "control", "aria-describedby": `${name}-says` });
  group.append(element("legend", {}, title));
  for (const [value, label] of choices) {
    const input = element("input", { type: "radio", name, value, autocomplete: "off" });
    input.addEventListener("change", () => {
      onInput(name, value);
      onDone();
    });
    group.append(element("label", {}, input, ` ${label}`));
  }
  group.append(element("p", { id: `${name}-says`, class: "says" }, says));
  return group;
}

/** Say beside a field what is wrong with its text; "" where nothing is. */
function tellWrong(field, message) {
  field.setAttribute("aria-invalid", String(message !== ""));
  document.getElementById(`${field.id}-wrong`).textContent = message;
}

/** Show settings that came from elsewhere: the address, or a button. */
function showSettings(form, settings) {
  for (const { name, choices, says } of SETTINGS) {
    if (choices) form.querySelector(`input[name=${name}][value=${settings[name]}]`).checked = true;
    else if (says) {
      const field = form.querySelector(`#${name}`);
      for (const input of field.parentElement.querySelectorAll("input")) input.value = settings[name];
      tellWrong(field, "");
    }
  }
}
