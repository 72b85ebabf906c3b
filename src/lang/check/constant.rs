//! What is known at compile time: integer operators on constants.

use crate::lang::ast::{Arg, BinOp, Expr, ExprKind, TypeExpr, UnOp};

/// The value of an operator on two constants; nothing for a division by zero.
pub(super) fn binary(op: BinOp, a: i128, b: i128) -> Option<i128> {
    let shift = u32::try_from(b.rem_euclid(64)).unwrap_or(0);
    Some(match op {
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::Div => a.checked_div(b)?,
        BinOp::Mod => a.checked_rem(b)?,
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Shl => a.wrapping_shl(shift),
        BinOp::Shr => a >> shift,
        BinOp::Eq => i128::from(a == b),
        BinOp::Ne => i128::from(a != b),
        BinOp::Lt => i128::from(a < b),
        BinOp::Le => i128::from(a <= b),
        BinOp::Gt => i128::from(a > b),
        BinOp::Ge => i128::from(a >= b),
        BinOp::LogAnd => i128::from(a != 0 && b != 0),
        BinOp::LogOr => i128::from(a != 0 || b != 0),
    })
}

/// `value` cut to an integer's width.
pub(super) fn wrap(value: i128, bits: u8, signed: bool) -> i128 {
    let cut = value & ((1i128 << bits) - 1);
    if signed && cut >> (bits - 1) != 0 {
        cut - (1i128 << bits)
    } else {
        cut
    }
}

/// A constant expression of C; names and the sizes of types are looked up.
pub(super) fn eval(
    expr: &Expr,
    name: &dyn Fn(&str) -> Option<i64>,
    size: &dyn Fn(&TypeExpr) -> Option<i64>,
) -> Option<i64> {
    let value = match &expr.kind {
        ExprKind::Int(n) => i128::from(*n),
        ExprKind::Bool(b) => i128::from(*b),
        ExprKind::Ident(word) => {
            i128::from(name(word).or_else(|| crate::lang::constants::constant(word))?)
        }
        ExprKind::Unary { op, expr } => {
            let v = i128::from(eval(expr, name, size)?);
            match op {
                UnOp::Neg => -v,
                UnOp::Not => i128::from(v == 0),
                UnOp::BitNot => !v,
                UnOp::Deref | UnOp::AddrOf => return None,
            }
        }
        ExprKind::Binary { op, left, right } => binary(
            *op,
            i128::from(eval(left, name, size)?),
            i128::from(eval(right, name, size)?),
        )?,
        ExprKind::Ternary { cond, then, els } => {
            let branch = if eval(cond, name, size)? != 0 {
                then
            } else {
                els
            };
            i128::from(eval(branch, name, size)?)
        }
        ExprKind::Cast { expr, .. } => i128::from(eval(expr, name, size)?),
        ExprKind::Call { name: called, args } if called.text == "sizeof" => match args.as_slice() {
            [
                Arg::Type(ty)
                | Arg::Expr(Expr {
                    kind: ExprKind::Type(ty),
                    ..
                }),
            ] => i128::from(size(ty)?),
            _ => return None,
        },
        _ => return None,
    };
    i64::try_from(wrap(value, 64, true)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        let run = |text: &str| {
            let script =
                crate::lang::parse(&format!("enum e {{ A = {text} }}; begin {{ }}")).unwrap();
            match &script.defs[..] {
                [crate::lang::ast::CDef::Enum { values, .. }] => eval(
                    values[0].1.as_ref().unwrap(),
                    &|n| (n == "B").then_some(7),
                    &|_| Some(4),
                ),
                _ => None,
            }
        };
        assert_eq!(run("1 << 4 | 3"), Some(19));
        assert_eq!(run("-(B - 10) * 2 % 4"), Some(2));
        assert_eq!(run("B > 3 ? SIGKILL : ~0"), Some(9));
        assert_eq!(run("16 - sizeof(short int)"), Some(12));
        assert_eq!(run("1 / 0"), None);
        assert_eq!(wrap(0x1ff, 8, true), -1);
        assert_eq!(wrap(-1, 16, false), 0xffff);
    }
}
