"""Tables of customers made up by a known rule: as banks, shops, telephone companies and software companies keep them.

Each comes with the true log-odds of leaving, which nothing fitted can order better by.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Columns = dict[str, list[Any]]
Table = tuple[Columns, Floats, str]
"""Columns with the outcome among them, the true log-odds, and the name of the outcome."""


def _left(chance: np.random.Generator, odds: Floats) -> npt.NDArray[np.bool_]:
    return chance.random(len(odds)) < 1 / (1 + np.exp(-odds))


def _gaps(chance: np.random.Generator, values: Floats, share: float, digits: int = 0) -> list[Any]:
    """Written out, with a share of the cells empty."""
    gone = chance.random(len(values)) < share
    return ["" if gone[row] else f"{values[row]:.{digits}f}" for row in range(len(values))]


def bank(count: int = 6000, seed: int = 1) -> Table:
    """A hump in age that is worse for the inactive, a U in the number of products, a heap of balances at nothing, ids and names."""
    chance = np.random.default_rng(seed)
    age, tenure = np.clip(chance.gamma(14, 2.8, count), 18, 90).round(), chance.integers(0, 11, count)
    balance = np.where(chance.random(count) < 0.36, 0, chance.normal(120_000, 30_000, count).clip(5_000)).round(2)
    products = chance.choice([1, 2, 3, 4], count, p=[0.5, 0.46, 0.03, 0.01])
    country, active = (
        chance.choice(["France", "Germany", "Spain"], count, p=[0.5, 0.25, 0.25]),
        chance.random(count) < 0.5,
    )
    odds = (
        2.6 * np.exp(-(((age - 56) / 11) ** 2)) * np.where(active, 0.7, 1.5)
        + np.select([products == 1, products == 2], [0.0, -1.5], 2.2)
        + 0.8 * (country == "Germany")
        + 0.5 * (balance > 0) * (products == 1)
        - 0.9 * active
        - 1.3
    )
    left = _left(chance, odds)
    return (
        {
            "RowNumber": list(range(1, count + 1)),
            "CustomerId": chance.permutation(np.arange(count) + 15_565_701).tolist(),
            "Surname": [f"Name{n}" for n in chance.zipf(1.4, count) % 2900],
            "CreditScore": chance.normal(650, 96, count).round().astype(int).tolist(),
            "Geography": country.tolist(),
            "Gender": chance.choice(["Female", "Male"], count).tolist(),
            "Age": age.astype(int).tolist(),
            "Tenure": tenure.tolist(),
            "Balance": balance.tolist(),
            "NumOfProducts": products.tolist(),
            "HasCrCard": chance.integers(0, 2, count).tolist(),
            "IsActiveMember": active.astype(int).tolist(),
            "EstimatedSalary": chance.uniform(11, 199_992, count).round(2).tolist(),
            "Exited": left.astype(int).tolist(),
        },
        odds,
        "Exited",
    )


def telephone(count: int = 4000, seed: int = 2) -> Table:
    """What a bill comes to, unless there is a plan against it; a threshold of calls to support; fifty states that say nothing."""
    chance = np.random.default_rng(seed)
    day, eve = chance.normal(180, 54, count).clip(0).round(1), chance.normal(200, 50, count).clip(0).round(1)
    abroad, voice = chance.random(count) < 0.1, chance.random(count) < 0.28
    calls_abroad, service = chance.poisson(4.4, count), chance.poisson(1.56, count)
    minutes_abroad = chance.normal(10.2, 2.8, count).clip(0).round(1)
    odds = (
        3.4 / (1 + np.exp(-(0.17 * day + 0.085 * eve - 56) / 2)) * np.where(voice, 0.1, 1)
        + np.where(abroad, 1 + 3 * (calls_abroad <= 2) + 3 * (minutes_abroad > 13), 0)
        + np.where(service > 3, np.where(day < 160, 3.8, 1.0), 0)
        - 3.3
    )
    left = _left(chance, odds)
    return (
        {
            "State": [f"S{n:02}" for n in chance.integers(0, 51, count)],
            "Account length": chance.normal(100, 40, count).clip(1).round().astype(int).tolist(),
            "Area code": chance.choice([408, 415, 510], count).tolist(),
            "Phone": [f"{n // 10000}-{n % 10000:04}" for n in chance.permutation(9_000_000)[:count] + 1_000_000],
            "International plan": np.where(abroad, "Yes", "No").tolist(),
            "Voice mail plan": np.where(voice, "Yes", "No").tolist(),
            "Total day minutes": day.tolist(),
            "Total day charge": (0.17 * day).round(2).tolist(),
            "Total eve minutes": eve.tolist(),
            "Total night minutes": chance.normal(200, 50, count).round(1).tolist(),
            "Total intl minutes": minutes_abroad.tolist(),
            "Total intl calls": calls_abroad.tolist(),
            "Customer service calls": service.tolist(),
            "Churn": np.where(left, "True", "False").tolist(),
        },
        odds,
        "Churn",
    )


def shop(count: int = 5600, seed: int = 3) -> Table:
    """Gaps in many columns, one of which says something; saturation; a threshold of days since the last order."""
    chance = np.random.default_rng(seed)
    tenure, since = chance.exponential(10, count).round(), chance.exponential(4.5, count).round()
    complained, satisfied = chance.random(count) < 0.28, chance.integers(1, 6, count)
    cash = chance.gamma(12, 15, count).round(2)
    kind = chance.choice(["Laptop & Accessory", "Mobile Phone", "Fashion", "Grocery", "Others"], count)
    gap = chance.random(count) < 0.05
    odds = (
        3 * np.exp(-tenure / 3)
        + np.where(complained, np.where(tenure < 12, 2.0, 0.9), 0)
        + 0.28 * satisfied
        + 1.1 * (since > 8)
        - 0.006 * cash
        + 0.7 * (kind == "Mobile Phone")
        - 3.2
    )
    odds = np.where(gap, odds - 3 * np.exp(-tenure / 3) + 1.5, odds)
    left = _left(chance, odds)
    return (
        {
            "CustomerID": list(range(50_001, 50_001 + count)),
            "Tenure": ["" if gap[row] else f"{tenure[row]:.0f}" for row in range(count)],
            "CityTier": chance.choice([1, 2, 3], count).tolist(),
            "WarehouseToHome": _gaps(chance, chance.gamma(3, 5, count), 0.05),
            "PreferedOrderCat": kind.tolist(),
            "SatisfactionScore": satisfied.tolist(),
            "Complain": complained.astype(int).tolist(),
            "HourSpendOnApp": _gaps(chance, chance.integers(0, 6, count).astype(float), 0.05),
            "DaySinceLastOrder": _gaps(chance, since, 0.06),
            "CashbackAmount": cash.tolist(),
            "CouponUsed": _gaps(chance, chance.poisson(1.7, count).astype(float), 0.05),
            "Churn": left.astype(int).tolist(),
        },
        odds,
        "Churn",
    )


def software(count: int = 8000, seed: int = 4, middle: float = -4.6) -> Table:
    """Few leave; seats used against seats bought, where only the two together tell; dates; booleans."""
    chance = np.random.default_rng(seed)
    today = date(2026, 11, 1)
    bought, share = chance.lognormal(3, 0.9, count).round().clip(1), chance.beta(4, 2, count)
    used = (bought * share).round()
    age, silent = chance.integers(20, 1800, count), chance.exponential(9, count).round()
    plan, sso = chance.choice(["free", "starter", "pro", "enterprise"], count), chance.random(count) < 0.4
    price = chance.lognormal(5, 1, count).round(2)
    odds = (
        -4.5 * (used / bought - 0.65)
        + 1.8 * (silent > 21)
        + 1.2 * np.cos(age / 58) * np.exp(-age / 400)
        + np.select([plan == "free", plan == "enterprise"], [0.8, -1.0], 0)
        - 0.7 * sso
        + 0.8 * (np.log(price) - 5) ** 2 / 2
        + middle
    )
    left = _left(chance, odds)
    return (
        {
            "account": [f"acc-{n}" for n in chance.permutation(count)],
            "signed_up": [(today - timedelta(days=int(n))).isoformat() for n in age],
            "last_seen": [f"{today - timedelta(days=int(n))} 10:15:00" for n in silent],
            "plan": plan.tolist(),
            "seats": bought.astype(int).tolist(),
            "active_users": used.astype(int).tolist(),
            "mrr": [f"${n:,.2f}" for n in price],
            "sso": np.where(sso, "true", "false").tolist(),
            "nps": _gaps(chance, chance.integers(0, 11, count).astype(float), 0.6),
            "region": chance.choice(["EMEA", "APAC", "AMER", ""], count).tolist(),
            "churned": np.where(left, "TRUE", "FALSE").tolist(),
        },
        odds,
        "churned",
    )


def crossed(count: int = 5000, seed: int = 5) -> Table:
    """Two effects that only two columns together show, an exclusive-or and a product, beside a U, a threshold and a saturation."""
    chance = np.random.default_rng(seed)
    a, b, c, d, e = chance.normal(0, 1, (5, count))
    mode, kind = chance.choice(["x", "y"], count), chance.choice(["k", "l", "m"], count)
    odds = (
        1.3 * np.where((a > 0) != (mode == "x"), 1, -1)
        + 0.9 * b * c
        + 0.7 * d * d
        + 1.4 * (e > 0.8)
        + 1.5 * np.tanh(2 * b)
        + 0.5 * (kind == "k")
        - 1.6
    )
    left = _left(chance, odds)
    columns = {name: [f"{n:.4f}" for n in values] for name, values in zip("abcde", (a, b, c, d, e), strict=True)}
    return (
        columns
        | {"mode": mode.tolist(), "kind": kind.tolist(), "status": np.where(left, "Churned", "Active").tolist()},
        odds,
        "status",
    )


def extended(count: int = 7000, seed: int = 21) -> Table:
    """What a company writes down when somebody has left, beside what it knew before: a score, a reason, a category; cities and postcodes."""
    chance = np.random.default_rng(seed)
    tenure, referrals, age = chance.integers(0, 73, count), chance.poisson(2, count), chance.integers(19, 81, count)
    contract = chance.choice(["Month-to-Month", "One Year", "Two Year"], count, p=[0.5, 0.25, 0.25])
    internet = chance.choice(["Fiber Optic", "DSL", "Cable", ""], count, p=[0.4, 0.25, 0.15, 0.2])
    charge = chance.uniform(18, 118, count).round(2)
    odds = (
        1.6 * (contract == "Month-to-Month")
        - 0.03 * tenure
        + 0.012 * charge
        + 0.7 * (internet == "Fiber Optic")
        - 0.25 * np.minimum(referrals, 5)
        + 0.04 * np.maximum(age - 60, 0)
        - 1.2
    )
    left = _left(chance, odds)
    why = chance.choice(["Competitor", "Attitude", "Price", "Other"], count)
    return (
        {
            "Customer ID": [f"{n:04}-ABCD" for n in chance.permutation(count)],
            "Gender": chance.choice(["Male", "Female"], count).tolist(),
            "Age": age.tolist(),
            "City": [f"City {n}" for n in chance.zipf(1.3, count) % 1100],
            "Zip Code": (90_000 + chance.integers(0, 1600, count)).tolist(),
            "Number of Referrals": referrals.tolist(),
            "Tenure in Months": tenure.tolist(),
            "Contract": contract.tolist(),
            "Internet Type": internet.tolist(),
            "Monthly Charge": charge.tolist(),
            "Total Charges": [f"{total:,.2f}" if total else " " for total in (charge * tenure).round(2)],
            "Churn Score": np.where(left, chance.integers(66, 101, count), chance.integers(5, 81, count)).tolist(),
            "Churn Category": np.where(left, why, "").tolist(),
            "Churn Reason": np.where(left, why, "").tolist(),
            "Churn Value": left.astype(int).tolist(),
            "Customer Status": np.where(left, "Churned", np.where(tenure < 4, "Joined", "Stayed")).tolist(),
        },
        odds,
        "Customer Status",
    )


def few(count: int = 300, seed: int = 22) -> Table:
    """A small company's own list: thousands, days of its country, gaps, and an outcome that is the other way round."""
    chance = np.random.default_rng(seed)
    use, nps = chance.gamma(2, 50, count), chance.integers(0, 11, count).astype(float)
    seats, onboarded = chance.lognormal(2.5, 1, count).round().clip(1), chance.random(count) < 0.5
    odds = 1.2 - 0.02 * use - 0.15 * nps - 0.9 * onboarded + 0.5 * (seats < 5)
    left = _left(chance, odds)
    since = [date(2026, 1, 1) - timedelta(days=int(n)) for n in chance.integers(10, 1500, count)]
    return (
        {
            "Account Name": [f"Acme {n}" for n in range(count)],
            "Logins last 30 days": [f"{n:.0f}" for n in use],
            "NPS score": _gaps(chance, nps, 0.4),
            "ARR": [f"{1200 * n:,.0f}" for n in seats],
            "Seats": seats.astype(int).tolist(),
            "Onboarding done": np.where(onboarded, "true", "false").tolist(),
            "Start Date": [f"{day:%d/%m/%Y}" for day in since],
            "Region": ["EU"] * count,
            "Renewed?": np.where(left, "No", "Yes").tolist(),
        },
        odds,
        "Renewed?",
    )


def rare(count: int = 10_000, seed: int = 23) -> Table:
    """One in forty leaves; twelve columns of which half say something."""
    chance = np.random.default_rng(seed)
    x = chance.normal(0, 1, (12, count))
    odds = 1.1 * np.abs(x[0]) + 0.8 * x[1] + 0.9 * (x[2] > 1) + 0.6 * x[3] * (x[4] > 0) - 5.6
    columns: Columns = {f"feature {n}": [f"{value:.3f}" for value in x[n]] for n in range(12)}
    return columns | {"is_churned": _left(chance, odds).astype(int).tolist()}, odds, "is_churned"


def dashes(count: int = 5000, seed: int = 24) -> Table:
    """A third to nine tenths of the cells hold nothing, in whatever words; where they do, it says something; and the day of leaving."""
    chance = np.random.default_rng(seed)
    x, share = chance.normal(0, 1, (6, count)), np.array([0.9, 0.7, 0.5, 0.6, 0.3, 0.8])[:, None]
    gone = chance.random((6, count)) < share
    odds = (
        np.where(gone[0], 0, 1.5 * x[0] ** 2 - 1)
        + np.where(gone[1], 0.8, -x[1])
        + np.where(gone[2], -0.6, 1.5 * (x[2] > 0.5))
        + 0.9 * x[4] * ~gone[4]
        - 1
    )
    left = _left(chance, odds)
    words = chance.choice(["", "NA", "N/A", "null", "-", "NaN"], (6, count))
    columns: Columns = {
        f"m{n}": [words[n, row] if gone[n, row] else f"{x[n, row]:.3f}" for row in range(count)] for n in range(6)
    }
    ended = [date(2026, 5, 1) + timedelta(days=int(n)) for n in chance.integers(0, 90, count)]
    columns["cancellation date"] = [f"{day}" if gone else "" for day, gone in zip(ended, left, strict=True)]
    return columns | {"Churn": np.where(left, "Yes", "No").tolist()}, odds, "Churn"


def branches(count: int = 8000, seed: int = 25) -> Table:
    """Two hundred branches and thirty numbered products, each with an effect of its own; mail addresses; one saturation."""
    chance = np.random.default_rng(seed)
    branch, product = chance.integers(0, 200, count), chance.integers(0, 30, count)
    bought = chance.exponential(3, count)
    odds = chance.normal(0, 0.9, 200)[branch] + chance.normal(0, 0.7, 30)[product] + 0.9 * np.log1p(bought) - 2
    since = [date(2024, 1, 1) + timedelta(days=int(n)) for n in chance.integers(0, 800, count)]
    return (
        {
            "email": [f"u{n}@x{n % 700}.example" for n in range(count)],
            "branch": [f"branch-{n}" for n in branch],
            "product code": product.tolist(),
            "bought": bought.round(2).tolist(),
            "signup": [f"{day:%m/%d/%Y}" for day in since],
            "target": _left(chance, odds).astype(int).tolist(),
        },
        odds,
        "target",
    )


TABLES: Mapping[str, Callable[..., Table]] = {
    "bank": bank,
    "telephone": telephone,
    "shop": shop,
    "software": software,
    "crossed": crossed,
    "extended": extended,
    "few": few,
    "rare": rare,
    "dashes": dashes,
    "branches": branches,
}


def written(path: Path, columns: Mapping[str, list[Any]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """The columns as a CSV."""
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path
